module github.com/entangle-nas/entangle

go 1.26
