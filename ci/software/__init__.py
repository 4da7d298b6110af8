"""The Software Catalogue and the software environments of steps."""
