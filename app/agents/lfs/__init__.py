"""Files of Git LFS: fetched before the agent starts, stored before its branch is pushed, by no program but git and ours."""
