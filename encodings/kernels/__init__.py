"""What must be fast? Compiled twins: `narrow_*` for few inputs, `wide_*` for many, and the cache that keeps them."""
