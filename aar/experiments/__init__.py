"""The lab: what method code imports, the wire it speaks, and the broker that answers it on the trusted side."""
