// C++ exceptions through blocked calls: pthread_cancel unwinds out of read(), handlers throw nothing, threads throw a lot.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <pthread.h>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <vector>
static std::atomic<long> destroyed, caught;
struct guard { ~guard() { destroyed++; } };
static int fds[2];
static void *reader(void *) { guard g; char c; for (;;) (void)!read(fds[0], &c, 1); }
__attribute__((noinline)) static void deep(int n) { guard g; if (!n) { (void)getppid(); throw std::runtime_error("x"); } deep(n - 1); (void)usleep(0); }
int main(int argc, char **v) {	// SECONDS [cancel]
	time_t end = time(nullptr) + atoi(v[1]); long rounds = 0, cancel = argc > 2;
	(void)!pipe(fds);
	do {
		if (cancel) {
			pthread_t t; pthread_create(&t, nullptr, reader, nullptr); usleep(500); pthread_cancel(t);
			void *r; pthread_join(t, &r); if (r != PTHREAD_CANCELED) puts("not cancelled");
		}
		std::vector<std::thread> ts;
		for (int i = 0; i < 4; i++) ts.emplace_back([] { for (int k = 0; k < 50; k++) try { deep(10); } catch (std::exception &) { caught++; } });
		for (auto &x : ts) x.join();
		rounds++;
	} while (time(nullptr) < end);
	printf("caught %s destroyed %s\n", caught == rounds * 200 ? "all" : "some", destroyed == rounds * (200 * 11 + cancel) ? "all" : "some");
}
