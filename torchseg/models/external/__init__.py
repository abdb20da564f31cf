"""Networks of other projects: torchvision's, code files of the user's own, exported programs, and their outputs."""
