'use strict';
(() => {
  const root = document.documentElement;
  // A page that fails says so where a test, or a person with the inspector, can see it.
  window.addEventListener('error', event => { root.dataset.error = event.message; });

  const charts = JSON.parse(document.getElementById('charts').textContent);
  const shade = name => getComputedStyle(root).getPropertyValue(name).trim();
  const number = value => {
    const m = Math.abs(value);
    return m < 1 ? String(Number(value.toPrecision(4))) : value.toFixed(m >= 1000 ? 0 : m >= 100 ? 1 : m >= 10 ? 2 : 3);
  };
  const described = point => {
    const f = point.y;
    const origin = f.origin === 'measured' ? '' : ', ' + f.origin;
    return `${number(f.value)} ${f.unit} (${number(f.low)} to ${number(f.high)}, ${f.spread} of ${f.count}${origin})`;
  };

  // Draws the spread of each point.
  const whiskers = {
    id: 'whiskers',
    afterDatasetsDraw(chart) {
      const { ctx } = chart;
      const lying = chart.options.indexAxis === 'y';
      chart.data.datasets.forEach((dataset, index) => {
        const meta = chart.getDatasetMeta(index);
        if (meta.hidden || dataset.points.length > 60) return;
        const scale = lying ? chart.scales.x : chart.scales.y;
        ctx.save();
        ctx.strokeStyle = shade('--ink');
        ctx.lineWidth = 1;
        meta.data.forEach((element, i) => {
          const point = dataset.points[i];
          if (!point) return;
          const low = scale.getPixelForValue(point.y.low), high = scale.getPixelForValue(point.y.high);
          if (Math.abs(high - low) < 1) return;
          const at = lying ? element.y : element.x;
          const line = (a, b, c, d) => lying ? (ctx.moveTo(b, a), ctx.lineTo(d, c)) : (ctx.moveTo(a, b), ctx.lineTo(c, d));
          ctx.beginPath();
          line(at, low, at, high);
          line(at - 4, low, at + 4, low);
          line(at - 4, high, at + 4, high);
          ctx.stroke();
        });
        ctx.restore();
      });
    },
  };

  // Writes the names of points beside them, those of the front first; a name that finds no room is left out.
  const names = {
    id: 'names',
    afterDatasetsDraw(chart) {
      if (!chart.options.plugins.names.show) return;
      const { ctx, chartArea } = chart;
      const fronts = chart.options.plugins.front.series || [];
      const points = chart.data.datasets.flatMap((dataset, index) =>
        chart.getDatasetMeta(index).data.map((element, i) =>
          ({ element, label: dataset.points[i].label, front: (fronts[index] || []).includes(i) })));
      points.sort((a, b) => b.front - a.front);
      const taken = [];
      ctx.save();
      ctx.fillStyle = shade('--ink');
      ctx.font = '12px system-ui, sans-serif';
      ctx.textAlign = 'left';
      points.forEach(({ element, label }) => {
        const text = label.length > 36 ? label.slice(0, 17) + '…' + label.slice(-18) : label;
        const width = ctx.measureText(text).width;
        const right = element.x + 8 + width < chartArea.right;
        for (const rise of [8, -16, 22, -30, 36, -44]) {
          const box = { x: right ? element.x + 8 : element.x - 8 - width, y: element.y - rise, width };
          const hits = taken.some(other => Math.abs(other.y - box.y) < 13 &&
            box.x < other.x + other.width + 4 && other.x < box.x + width + 4);
          if (hits || box.x < chartArea.left || box.y < chartArea.top + 8 || box.y > chartArea.bottom) continue;
          taken.push(box);
          ctx.fillText(text, box.x, box.y);
          break;
        }
      });
      ctx.restore();
    },
  };

  // Joins the points of a series that no other one beats.
  const front = {
    id: 'front',
    beforeDatasetsDraw(chart) {
      const fronts = chart.options.plugins.front.series;
      if (!fronts) return;
      const { ctx } = chart;
      chart.data.datasets.forEach((dataset, index) => {
        const elements = chart.getDatasetMeta(index).data;
        ctx.save();
        ctx.strokeStyle = dataset.borderColor;
        ctx.setLineDash([5, 4]);
        ctx.beginPath();
        (fronts[index] || []).forEach((i, k) => (k ? ctx.lineTo : ctx.moveTo).call(ctx, elements[i].x, elements[i].y));
        ctx.stroke();
        ctx.restore();
      });
    },
  };

  const short = text => (text.length > 28 ? text.slice(0, 13) + '…' + text.slice(-14) : text);

  const configured = chart => {
    const labels = [...new Set(chart.series.flatMap(series => series.points.map(point => point.label)))];
    const bars = chart.kind === 'bars';
    const lying = bars && labels.some(label => label.length > 12) || labels.length > 8;
    const grid = { color: shade('--line') };
    const ticks = { color: shade('--soft') };
    const axis = text => ({ title: { display: text !== '', text, color: shade('--soft') }, grid, ticks });
    const datasets = chart.series.map((series, i) => {
      const colour = shade(`--series-${i % 6 + 1}`);
      const points = bars ? labels.map(label => series.points.find(point => point.label === label)) : series.points;
      return {
        label: series.name,
        points,
        data: points.map(point => !point ? null : bars ? point.y.value : { x: point.x, y: point.y.value }),
        backgroundColor: colour,
        borderColor: colour,
        borderWidth: bars ? 0 : 2,
        pointRadius: chart.kind === 'scatter' ? 5 : points.length > 60 ? 0 : 3,
        maxBarThickness: 40,
        clip: 10,
      };
    });
    const value = axis(chart.y), place = axis(chart.x);
    const spread = chart.series.flatMap(series => series.points.flatMap(point => [point.y.low, point.y.high]));
    value.suggestedMin = Math.min(...spread);
    value.suggestedMax = Math.max(...spread);
    if (bars) value.beginAtZero = true;
    if (chart.kind === 'scatter') {
      value.grace = '10%';
      place.beginAtZero = true;
      place.suggestedMax = 1.1 * Math.max(...chart.series.flatMap(series => series.points.map(point => point.x)));
    }
    // Nothing is above all.
    const high = Math.max(...spread), whole = chart.series.every(series => series.points.every(point => point.y.unit === '%'));
    if (whole && high <= 100 && high > 90) value.max = 100;
    if (bars) place.ticks = { ...ticks, autoSkip: false, callback(v) { return short(this.getLabelForValue(v)); } };
    else place.type = 'linear';
    return {
      rows: bars && lying ? labels.length * chart.series.length : 0,
      type: bars ? 'bar' : chart.kind === 'lines' ? 'line' : 'scatter',
      data: { labels: bars ? labels : undefined, datasets },
      options: {
        animation: false,
        maintainAspectRatio: false,
        indexAxis: bars && lying ? 'y' : 'x',
        scales: bars && lying ? { x: value, y: place } : { x: place, y: value },
        plugins: {
          names: { show: chart.kind === 'scatter' },
          front: { series: chart.front },
          legend: { display: chart.series.length > 1, labels: { color: shade('--ink') } },
          tooltip: {
            callbacks: {
              title: items => items.map(item => item.dataset.points[item.dataIndex].label || item.label),
              label: item => `${item.dataset.label}: ${described(item.dataset.points[item.dataIndex])}`,
            },
          },
        },
      },
      plugins: [whiskers, front, names],
    };
  };

  let drawn = [];
  const draw = () => {
    drawn.forEach(chart => chart.destroy());
    drawn = charts.map((chart, i) => {
      const canvas = document.getElementById(`c${i}`);
      const { rows, ...config } = configured(chart);
      canvas.parentElement.style.height = rows > 8 ? `${Math.max(20, rows * 1.4)}rem` : '';
      return new Chart(canvas, config);
    });
    root.dataset.drawn = drawn.length;
  };
  draw();

  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  // Paper is white; what the reader has unfolded is printed, and long tables that are folded up stay so.
  window.addEventListener('beforeprint', () => {
    root.classList.add('paper');
    draw();
  });
  window.addEventListener('afterprint', () => {
    root.classList.remove('paper');
    draw();
  });
})();
