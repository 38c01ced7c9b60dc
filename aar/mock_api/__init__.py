"""A mock of the Messages API: a real server on this machine that plays researchers by script, for rehearsals.

A campaign runs against it as against any endpoint: the same requests by the same package, streams, tool calls, token
counts and failures, without a model and without cost.
"""
