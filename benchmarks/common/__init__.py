"""What the benchmarks share. Standard library only; nothing here is imported by cloudlet itself."""
