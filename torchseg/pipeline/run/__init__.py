"""The run folder and what its commands share: session, data set, image spec, recorded flags."""
