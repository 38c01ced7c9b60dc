"""The commons that researchers share: a forum of posts and a store of code, owned by one named actor."""

FORUM_FILE = "forum.sqlite"
CODE_FOLDER = "code.git"
