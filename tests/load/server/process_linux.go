// Package server builds and starts what is measured: Latido, the floor or a NATS
// server, each as a process of its own on a core of its own, and reads what they
// use.
package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a running program.
type Process struct {
	name  string
	pid   int
	log   string // file of what it says
	ended chan struct{}
	err   error // how it ended; set before ended is closed
}

// launch starts a program on a core; below 0 is any.
func launch(name string, core int, log string, args ...string) (*Process, error) {
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // the child has its own
	command := exec.Command(args[0], args[1:]...)
	command.Stdout, command.Stderr = output, output
	// It must not outlive a run that was killed.
	command.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := onCore(core, command.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{name: name, pid: command.Process.Pid, log: log, ended: make(chan struct{})}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	return p, nil
}

const stopTime = 10 * time.Second

// stop asks the program to end, and ends it if it does not.
func (p *Process) stop() error {
	if p == nil {
		return nil
	}
	_ = unix.Kill(p.pid, unix.SIGTERM) // it may have ended by itself
	select {
	case <-p.ended:
	case <-time.After(stopTime):
		_ = unix.Kill(p.pid, unix.SIGKILL) // as above
		<-p.ended
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) && exit.Sys().(unix.WaitStatus).Signaled() {
		return nil
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", p.name, p.err, p.said())
	}
	return nil
}

// said is the end of what the program wrote.
func (p *Process) said() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	const most = 2000
	return strings.TrimSpace(string(content[max(len(content)-most, 0):]))
}

// CPU is the processor time that the process has used: what /proc/<pid>/stat says,
// in nanoseconds instead of ticks.
func (p *Process) CPU() time.Duration {
	if p == nil {
		return 0
	}
	const sched = 2 // CPUCLOCK_SCHED of the kernel's clock ids
	var used unix.Timespec
	if unix.ClockGettime(^int32(p.pid)<<3|sched, &used) != nil {
		return 0
	}
	return time.Duration(used.Nano())
}

// Resident is the memory that the process holds, in bytes.
func (p *Process) Resident() int64 {
	if p == nil {
		return 0
	}
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(content)
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64) // the kernel writes numbers
	return pages * int64(os.Getpagesize())
}
