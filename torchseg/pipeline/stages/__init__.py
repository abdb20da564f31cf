"""The stages of the chain: each reads one folder and writes one folder."""
