"""What researchers share: a forum of posts and a store of code, held by one named actor."""

FORUM_FILE = "forum.sqlite"
CODE_FOLDER = "code.git"
