"""Engines that run a model: what an engine does (protocol), and the engines themselves."""
