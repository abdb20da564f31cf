"""The run folder and what the commands share: session, data set, image spec, recorded flags."""
