"""The NNI search engine, which runs in separate processes."""
