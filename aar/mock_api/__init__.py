"""Rehearsals: a real server on this machine that speaks the Messages API and plays researchers by script.

A campaign runs against it as against any endpoint: the same requests by the same package, streams, tool calls, token
counts and failures, without a model and without cost.
"""
