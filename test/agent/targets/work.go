// Goroutines, its own system calls, signals, children, network.
package main

// #include <unistd.h>
import "C"
import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	end := time.Now().Add(time.Duration(n) * time.Second)
	bad := 0
	for {
		var wg sync.WaitGroup
		var mu sync.Mutex
		fail := func(s string) { mu.Lock(); bad++; mu.Unlock(); fmt.Println("bad", s) }
		for i := 0; i < 50; i++ {
			wg.Add(1)
			go func(i int) {
				defer wg.Done()
				if syscall.Getppid() != int(C.getppid()) { fail("ppid") }
				if b, err := os.ReadFile("/proc/self/stat"); err != nil || len(b) == 0 { fail("read") }
				if i%10 == 0 {
					out, err := exec.Command("sh", "-c", "echo $((6 * 7))").Output()
					if err != nil || string(out) != "42\n" { fail("exec") }
				}
			}(i)
		}
		l, _ := net.Listen("tcp", "127.0.0.1:0")
		go func() { c, _ := l.Accept(); io.Copy(c, c); c.Close() }()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil { fail("dial") } else {
			c.Write([]byte("abc"))
			b := make([]byte, 3)
			io.ReadFull(c, b)
			if string(b) != "abc" { fail("echo") }
			c.Close()
		}
		l.Close()
		wg.Wait()
		if time.Now().After(end) { break }
	}
	fmt.Println("bad", bad)
}
