"""The built-in methods, one file each; imported as `lampbench.methods`."""

if __name__ == "methods":
    raise ImportError("import lampbench.methods, not methods: two names make two of each class")
