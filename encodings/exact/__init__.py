"""What do rational numbers decide? Linear programs and activation regions in exact arithmetic."""
