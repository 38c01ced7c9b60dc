"""Everything that runs inside a sandbox, and nothing else: the untrusted plane.

A sandbox sees this package as it is. It imports itself, the standard library and numpy; `training_task` alone also uses
`aar.models`, with torch, which training sandboxes are shown. Nothing here is believed on the trusted side: whatever
comes out of a sandbox is validated there.
"""
