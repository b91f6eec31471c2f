//go:build !unix

package stack

import "log/slog"

// tellFiles has nothing to say where files are not limited per process.
func tellFiles(*slog.Logger) {}
