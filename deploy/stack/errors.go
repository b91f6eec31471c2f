package stack

import (
	"errors"
	"fmt"
)

var (
	// ErrStopped is why the parts end when the stack is closed.
	ErrStopped = errors.New("stopped")
	// ErrAddressTaken says that something else listens where the stack should.
	ErrAddressTaken = errors.New("address already in use")
	// ErrDataInUse says that another process works in the data folder.
	ErrDataInUse = errors.New("in use by another process")
	// ErrDataNewer says that a newer version of Latido wrote the data folder.
	ErrDataNewer = errors.New("written by a newer version")
	// ErrDataForeign says that the folder holds something, but nothing of Latido's.
	ErrDataForeign = errors.New("not empty and not a data folder")
	// ErrUnreachable says that no NATS server answered in time.
	ErrUnreachable = errors.New("no NATS server answers")

	errEnded = errors.New("ended by itself")
)

// DataError is a data folder that cannot be used, and which.
type DataError struct {
	Folder string
	Err    error
}

func (e *DataError) Error() string { return fmt.Sprintf("--data %s: %v", e.Folder, e.Err) }
func (e *DataError) Unwrap() error { return e.Err }

// SettingError is a setting that cannot work, by the name of its flag; the parts
// to run have none.
type SettingError struct {
	Setting string
	Reason  string
}

func (e *SettingError) Error() string {
	if e.Setting == "" {
		return e.Reason
	}
	return "--" + e.Setting + ": " + e.Reason
}
