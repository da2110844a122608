"""The built-in tasks, one file each; imported as `lampbench.tasks`."""

if __name__ == "tasks":
    raise ImportError("import lampbench.tasks, not tasks: two names would make two of each class")
