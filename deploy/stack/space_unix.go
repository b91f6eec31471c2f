//go:build unix

package stack

import "golang.org/x/sys/unix"

// freeBytes is how much may be written where a folder is.
func freeBytes(folder string) (uint64, error) {
	var of unix.Statfs_t
	if err := unix.Statfs(folder, &of); err != nil {
		return 0, err
	}
	return uint64(of.Bavail) * uint64(of.Bsize), nil //nolint:gosec,unconvert // the types differ from system to system
}
