"""The contract of plugins: what each must keep, and the checks that find out whether it does."""
