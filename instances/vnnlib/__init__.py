"""Which property does a VNN-LIB file state? Parser, normal form, writer."""
