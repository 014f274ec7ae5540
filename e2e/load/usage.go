package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc. Linux shows them in hundredths of a second
// whatever its timer does (USER_HZ, proc(5)).
const tick = 10 * time.Millisecond

// usage is what processes have used since they began, or between two times.
type usage struct {
	user, system           time.Duration
	voluntary, involuntary int64 // context switches
	processes              int   // how many they are
}

func (u usage) since(v usage) usage {
	return usage{u.user - v.user, u.system - v.system, u.voluntary - v.voluntary, u.involuntary - v.involuntary, u.processes - v.processes}
}

func (u usage) cpu() time.Duration { return u.user + u.system }

// tree returns pid and its descendants.
func tree(pid int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, file := range stats {
		s, err := readStat(file)
		if err != nil {
			continue // it has ended
		}
		children[s.parent] = append(children[s.parent], s.pid)
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

// used sums what pid and its descendants have used. Context switches are those of the
// threads that live.
func used(pid int) (usage, error) {
	pids, err := tree(pid)
	if err != nil {
		return usage{}, err
	}
	var sum usage
	for _, pid := range pids {
		u, err := usedAlone(pid)
		if err != nil {
			return usage{}, err
		}
		sum.user += u.user
		sum.system += u.system
		sum.voluntary += u.voluntary
		sum.involuntary += u.involuntary
		sum.processes++
	}
	return sum, nil
}

// usedAlone is what one process has used.
func usedAlone(pid int) (usage, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	s, err := readStat(dir + "/stat")
	if err != nil {
		return usage{}, err
	}
	u := usage{user: s.user, system: s.system, processes: 1}
	threads, err := filepath.Glob(dir + "/task/*/status")
	if err != nil {
		return usage{}, err
	}
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		u.voluntary += statusField(text, "voluntary_ctxt_switches")
		u.involuntary += statusField(text, "nonvoluntary_ctxt_switches")
	}
	return u, nil
}

// stat is the part of /proc/PID/stat that is used here.
type stat struct {
	pid, parent  int
	user, system time.Duration
}

func readStat(file string) (stat, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(text))
}

// parseStat reads a line of /proc/PID/stat. The name in it may have blanks and parentheses.
func parseStat(line string) (stat, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("process status: want a name in parentheses, got %q", line)
	}
	f := strings.Fields(line[end+1:])
	if len(f) < 13 {
		return stat{}, fmt.Errorf("process status: want 15 fields or more, got %q", line)
	}
	pid, err1 := strconv.Atoi(strings.TrimSpace(line[:open]))
	parent, err2 := strconv.Atoi(f[1])
	user, err3 := strconv.ParseInt(f[11], 10, 64)
	system, err4 := strconv.ParseInt(f[12], 10, 64)
	return stat{pid, parent, time.Duration(user) * tick, time.Duration(system) * tick}, errors.Join(err1, err2, err3, err4)
}

// statusField reads a number of /proc/PID/status, of KiB if it is of memory; 0 when it is not there.
func statusField(text []byte, name string) int64 {
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		if string(key) == name {
			value = bytes.TrimSuffix(bytes.TrimSpace(value), []byte(" kB"))
			n, _ := strconv.ParseInt(string(value), 10, 64) // 0 when it is no number
			return n
		}
	}
	return 0
}

// cpuTime is what the machine's CPUs did since it started, all of them together.
type cpuTime struct{ busy, steal, total time.Duration }

func (c cpuTime) since(d cpuTime) cpuTime {
	return cpuTime{c.busy - d.busy, c.steal - d.steal, c.total - d.total}
}

func machineTime() (cpuTime, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpuTime{}, err
	}
	return parseMachineTime(string(text))
}

// parseMachineTime reads the first line of /proc/stat: user nice system idle iowait irq
// softirq steal; what follows is contained in user and nice.
func parseMachineTime(text string) (cpuTime, error) {
	line, _, _ := strings.Cut(text, "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return cpuTime{}, fmt.Errorf("/proc/stat: want a line \"cpu\" with 8 numbers, got %q", line)
	}
	var c cpuTime
	for i, word := range f[1:9] {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return cpuTime{}, fmt.Errorf("/proc/stat: %w", err)
		}
		d := time.Duration(n) * tick
		c.total += d
		switch i {
		case 3, 4: // idle, iowait
		case 7:
			c.steal += d
		default:
			c.busy += d
		}
	}
	return c, nil
}
