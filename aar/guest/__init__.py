"""Everything that runs inside a sandbox, and nothing else: the untrusted plane.

A sandbox sees this package as it is. It imports itself, the standard library and numpy. Only `training_task` also uses
`aar.models`, with torch, which training sandboxes can see. The trusted side validates everything that comes out of a
sandbox, and trusts none of it.
"""
