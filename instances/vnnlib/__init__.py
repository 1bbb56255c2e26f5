"""Which property does a VNN-LIB file state? Parsers of both versions, tables of long disjunctions, normal form, writer."""
