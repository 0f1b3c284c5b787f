package main

import (
	"bufio"
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// timeLength is the length of the time before each line of a log, of which every digit is written so that it does not vary.
const (
	timeFormat = "2006-01-02T15:04:05.000000000Z"
	timeLength = len(timeFormat)
)

// logFile appends what a container prints, each line after the time at which it came.
type logFile struct {
	path string
	lock sync.Mutex
	rest []byte
}

func newLog(path string) *logFile {
	return &logFile{path: path}
}

func logName(namespace, pod, container string) string {
	return fmt.Sprintf("%s_%s_%s.log", namespace, pod, container)
}

func (l *logFile) Write(printed []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	now := time.Now().UTC().Format(timeFormat)
	l.rest = append(l.rest, printed...)
	var lines []byte
	for {
		line, rest, complete := bytes.Cut(l.rest, []byte("\n"))
		if !complete {
			break
		}
		lines = fmt.Appendf(lines, "%s %s\n", now, line)
		l.rest = rest
	}
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, err := file.Write(lines); err != nil {
		return 0, err
	}
	return len(printed), nil
}

// serveLogs is the part of the kubelet's server from which the API server gets the logs of containers.
func (n *node) serveLogs(certificate, key string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		name := logName(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"))
		if err := sendLog(w, r, filepath.Join(n.logs, filepath.Base(name))); err != nil {
			log.Printf("log %s: %s", name, err)
		}
	})
	return http.ListenAndServeTLS(net.JoinHostPort(n.address, strconv.Itoa(logPort)), certificate, key, mux)
}

// sendLog understands sinceTime, tailLines and timestamps.
func sendLog(w http.ResponseWriter, r *http.Request, path string) error {
	file, err := os.Open(path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return nil
	}
	defer file.Close()
	since := ""
	if text := r.FormValue("sinceTime"); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return nil
		}
		since = at.UTC().Format(timeFormat)
	}
	var lines []string
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		if line := scanner.Text(); len(line) > timeLength && line[:timeLength] >= since {
			if r.FormValue("timestamps") != "true" {
				line = line[timeLength+1:]
			}
			lines = append(lines, line+"\n")
		}
	}
	if tail, err := strconv.Atoi(r.FormValue("tailLines")); err == nil && tail < len(lines) {
		lines = lines[len(lines)-tail:]
	}
	w.Header().Set("Content-Type", "text/plain")
	if _, err := w.Write([]byte(strings.Join(lines, ""))); err != nil {
		return err
	}
	return scanner.Err()
}
