"""The paper as data: its printed numbers, its hyper-parameters, its methods and tasks."""
