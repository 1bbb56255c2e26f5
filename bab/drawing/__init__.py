"""How does a tree look? Partitions, trees and activation regions as pictures."""
