"""The known data sets; each is one function that takes the root folder (`scenes`: the image size)."""
