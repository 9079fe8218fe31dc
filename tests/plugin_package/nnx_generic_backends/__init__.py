"""The example of a plug-in for nnx that is a package of its own; its entry points name the backends."""
