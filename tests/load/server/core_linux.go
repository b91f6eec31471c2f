package server

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Cores says where to run a server and where its clients: on different ones, or,
// where there is but one, anywhere (-1).
func Cores() (server, clients int) {
	var allowed unix.CPUSet
	if unix.SchedGetaffinity(0, &allowed) != nil || allowed.Count() < 2 {
		return -1, -1
	}
	server = -1
	for core := 0; ; core++ {
		switch {
		case !allowed.IsSet(core):
		case server < 0:
			server = core
		default:
			return server, core
		}
	}
}

// CoreCount is how many cores there are.
func CoreCount() int { return machineCores }

// Pin keeps the whole process to a core; below 0 changes nothing.
func Pin(core int) error {
	if core < 0 {
		return nil
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	var set unix.CPUSet
	set.Set(core)
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil {
			return err
		}
	}
	runtime.GOMAXPROCS(1)
	return nil
}

// onCore runs start, which forks, on a core: the child inherits it.
func onCore(core int, start func() error) error {
	if core < 0 {
		return start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	err := start()
	if back := unix.SchedSetaffinity(0, &before); err == nil {
		err = back
	}
	return err
}

// Machine says what kind of machine this is.
func Machine() string {
	model := "unknown processor"
	if content, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, after, found := bytes.Cut(content, []byte("model name\t: ")); found {
			line, _, _ := bytes.Cut(after, []byte("\n"))
			model = string(line)
		}
	}
	return fmt.Sprintf("%d × %s, %s", machineCores, model, runtime.GOARCH)
}

// machineCores is asked for before the process is pinned.
var machineCores = runtime.NumCPU()

// MachineCPU is the processor time that the whole machine has used.
func MachineCPU() time.Duration {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(content, []byte("\n"))
	var ticks int64
	for i, field := range bytes.Fields(line) {
		const idle, waiting, guest = 4, 5, 9
		if i == 0 || i == idle || i == waiting || i >= guest {
			continue
		}
		n, _ := strconv.ParseInt(string(field), 10, 64) // the kernel writes numbers
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}

// OwnCPU is the processor time that this process has used.
func OwnCPU() time.Duration {
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
