//go:build unix

package stack

import (
	"context"
	"log/slog"
	"syscall"
)

// Open files that a bridge for a few browsers and for tens of thousands needs.
const (
	fewFiles  = 4_096
	manyFiles = 65_536
)

// tellFiles says how many browsers the system lets this process have, when that
// is not plenty. Go itself has raised the soft limit to the hard one.
func tellFiles(log *slog.Logger) {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || limit.Cur >= manyFiles {
		return
	}
	level := slog.LevelInfo
	if limit.Cur < fewFiles {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "open files are limited, and each browser takes one: ulimit -Hn raises it", "limit", limit.Cur)
}
