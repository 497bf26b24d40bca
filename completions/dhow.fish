complete --keep-order --exclusive --command dhow --arguments "(COMPLETE=fish dhow -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
