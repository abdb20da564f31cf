"""Many runs from one recipe: trained, exported, measured and compared."""
