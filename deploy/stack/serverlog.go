package stack

import (
	"fmt"
	"log/slog"
)

// serverLog hands the embedded server's log to slog. Notices are debug: they
// tell of the server's life, which is not the operator's until it goes wrong.
// Fatal entries are kept, since the server goes on after them.
type serverLog struct {
	log   *slog.Logger
	fatal chan error
}

func newServerLog(log *slog.Logger) *serverLog {
	return &serverLog{log: log.With("part", "nats"), fatal: make(chan error, 1)}
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *serverLog) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(string, ...any)           {}
func (l *serverLog) Tracef(string, ...any)           {}

// Fatalf keeps the first fatal entry; the later ones follow from it.
func (l *serverLog) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Errorf(format, v...):
	default:
	}
}
