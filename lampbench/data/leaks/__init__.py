"""The search for leaks: does text of a tested user appear where it must not?"""
