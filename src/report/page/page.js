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

  // Writes the names of points beside them.
  const names = {
    id: 'names',
    afterDatasetsDraw(chart) {
      if (!chart.options.plugins.names.show) return;
      const { ctx, chartArea } = chart;
      ctx.save();
      ctx.fillStyle = shade('--ink');
      ctx.font = '12px system-ui, sans-serif';
      chart.data.datasets.forEach((dataset, index) => {
        chart.getDatasetMeta(index).data.forEach((element, i) => {
          const label = dataset.points[i].label;
          const short = label.length > 36 ? label.slice(0, 17) + '…' + label.slice(-18) : label;
          const right = element.x < (chartArea.left + chartArea.right) / 2;
          ctx.textAlign = right ? 'left' : 'right';
          ctx.fillText(short, element.x + (right ? 8 : -8), element.y - 8);
        });
      });
      ctx.restore();
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
      };
    });
    const value = axis(chart.y), place = axis(chart.x);
    const spread = chart.series.flatMap(series => series.points.flatMap(point => [point.y.low, point.y.high]));
    value.suggestedMin = Math.min(...spread);
    value.suggestedMax = Math.max(...spread);
    if (bars) value.beginAtZero = true;
    if (chart.kind === 'scatter') place.grace = value.grace = '10%';
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
          legend: { display: chart.series.length > 1, labels: { color: shade('--ink') } },
          tooltip: {
            callbacks: {
              title: items => items.map(item => item.dataset.points[item.dataIndex].label || item.label),
              label: item => `${item.dataset.label}: ${described(item.dataset.points[item.dataIndex])}`,
            },
          },
        },
      },
      plugins: [whiskers, names],
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
  // Paper is white, and nothing can be unfolded on it.
  const folded = [...document.querySelectorAll('details:not([open])')];
  window.addEventListener('beforeprint', () => {
    root.classList.add('paper');
    folded.forEach(element => { element.open = true; });
    draw();
    drawn.forEach(chart => chart.resize());
  });
  window.addEventListener('afterprint', () => {
    root.classList.remove('paper');
    folded.forEach(element => { element.open = false; });
    draw();
  });
})();
