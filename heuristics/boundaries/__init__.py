"""How near is another class? Gaps between classes, and attacks that go to the nearest one."""
