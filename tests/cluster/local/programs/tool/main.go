// The only program in the cluster's own image. The name under which it is started chooses what it
// is: the container that holds a pod's namespaces, the helper that makes and removes volumes, or a
// small server and client for tests of the cluster itself.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	if err := run(filepath.Base(os.Args[0])); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(name string) error {
	switch name {
	case "pause":
		return pause()
	case "volume":
		return volume()
	case "serve":
		return serve()
	case "fetch":
		return fetch(os.Args[1])
	case "read":
		content, err := os.ReadFile(os.Args[1])
		fmt.Print(string(content))
		return err
	case "write":
		return os.WriteFile(os.Args[1], []byte(os.Args[2]), 0o600)
	}
	return fmt.Errorf("%s is nothing that this program can be", name)
}

// pause holds the namespaces of a pod until it is told to end, and reaps what others left.
func pause() error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			break
		}
		for {
			if pid, _ := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 {
				break
			}
		}
	}
	return nil
}

// volume makes or removes the folder of a volume; local-path-provisioner passes the arguments.
func volume() error {
	path := flag.String("p", "", "folder")
	flag.String("s", "", "size, which a folder does not limit")
	flag.String("m", "", "mode of the volume")
	action := flag.String("a", "", "create or delete")
	flag.Parse()
	switch *action {
	case "create":
		if err := os.MkdirAll(*path, 0o777); err != nil {
			return err
		}
		// Every user's processes may write; the creation mask took that away.
		return os.Chmod(*path, 0o777)
	case "delete":
		return os.RemoveAll(*path)
	}
	return fmt.Errorf("unknown action %q", *action)
}

// serve answers every request with the name of the pod.
func serve() error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	server := http.Server{
		Addr:              ":8080",
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(answer, name)
		}),
	}
	go func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
		<-signals
		server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// fetch prints what an address answers; a bare name is only looked up.
func fetch(address string) error {
	if filepath.Base(address) == address {
		found, err := net.LookupHost(address)
		if err != nil {
			return err
		}
		fmt.Println(found[0])
		return nil
	}
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(address)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(os.Stdout, answer.Body)
	return err
}
