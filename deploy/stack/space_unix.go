//go:build unix

package stack

import "golang.org/x/sys/unix"

// space is how much may be written where a folder is, and how much if it held nothing.
func space(folder string) (free, total uint64, err error) {
	var of unix.Statfs_t
	if err := unix.Statfs(folder, &of); err != nil {
		return 0, 0, err
	}
	size := uint64(of.Bsize)                                       //nolint:gosec // the types differ from system to system
	return uint64(of.Bavail) * size, uint64(of.Blocks) * size, nil //nolint:gosec,unconvert // as above
}
