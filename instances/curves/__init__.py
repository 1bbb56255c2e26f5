"""Which curves do activations follow? Values, slopes, where they bend and where they turn."""
