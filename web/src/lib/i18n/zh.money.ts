import type { enMoney } from './en.money';

/** Chinese texts of the users' money. */
export const zhMoney = {
	'nav.places': '导航',
	'nav.home': '首页',
	'nav.earn': '赚取',
	'nav.rewards': '奖励',
	'nav.history': '历史',
	'nav.desk': '交易台',
	'nav.owner': '管理',

	'badge.demo': '模拟资金',
	'badge.demo.hint': '支付通道是模拟的：钱包里只有演示用的资金。',

	'copy.copy': '复制',
	'copy.done': '已复制',

	'session.title': '登录',
	'session.signin': '登录',
	'session.signout': '退出登录',
	'session.notnow': '以后再说',
	'session.account': '账户',
	'session.signedinas': '当前身份',
	'session.owner': '管理员',
	'session.until': '有效期至',
	'session.other': '换一个身份',
	'session.ended': '登录已过期，显示的是旧数据。',
	'session.ended.body': '登录已过期。重新登录后可以从原处继续。',
	'session.demo': '演示',
	'session.demo.body': '这些人在这里持有模拟资金，选一个身份进入。',
	'session.continue': '以 {name} 身份继续',
	'session.wallet': '钱包',
	'session.wallet.body': '用钱包签署一条消息，不收费，也不会转账。',
	'session.wallet.connect': '用钱包登录',
	'session.wallet.none': '此浏览器没有钱包。请安装钱包，或在钱包内置浏览器中打开本页。',
	'session.wallet.empty': '钱包没有提供账户。',
	'session.wallet.refused': '钱包没有签名。',
	'session.admin': '我是此实例的管理员',
	'session.admin.setup': '尚未设置密码。请打开终端里打印的设置链接，或运行“mrmarket admin password”。',
	'session.password': '管理员密码',

	'setup.title': '设置管理员密码',
	'setup.body': '终端里的链接只能使用一次。之后用这个密码登录。',
	'setup.password': '密码（至少 10 个字符）',
	'setup.again': '再输入一次',
	'setup.different': '两次输入的密码不同。',
	'setup.set': '设置密码',

	'problem.unreachable': '实例没有响应。请确认它正在运行，然后重试。',
	'problem.sign_in_needed': '请先登录。',
	'problem.sign_in_refused': '登录被拒绝。请检查输入后重试。',
	'problem.too_many_requests': '请求太频繁，请稍候再试。',
	'problem.not_found': '没有这个内容。',
	'problem.forbidden': '你的身份没有这个权限。',
	'problem.money_not_ready': '资金部分还在启动，请稍后再试。'
} satisfies Record<keyof typeof enMoney, string>;
