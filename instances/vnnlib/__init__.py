"""Which property does a VNN-LIB file state? Parsers of both versions, tables, normal form, writer."""
