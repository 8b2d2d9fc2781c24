"""Brokers that carry calls of modules and their answers: the hub's side and the worker's."""
