#!/bin/sh
# Chromium, headless: zygote, sandbox, JIT, many threads and processes: chromium.sh DIRECTORY
mkdir -p "$1" && cd "$1" || exit 1
echo '<p id=x></p><script>let s=0;for(let i=0;i<3e6;i++)s+=i;new Promise(r=>setTimeout(r,50)).then(()=>{document.getElementById("x").textContent="sum "+s})</script>' > page.html
sandbox=; [ "$(id -u)" = 0 ] && sandbox=--no-sandbox
timeout 120 chromium --headless $sandbox --disable-gpu --user-data-dir="$1/profile" --no-first-run --virtual-time-budget=2000 --dump-dom "file://$1/page.html" 2> err | grep -o 'sum [0-9]*'
