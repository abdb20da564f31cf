"""The search engine NNI, which runs in processes of its own."""
