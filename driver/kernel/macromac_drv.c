// SPDX-License-Identifier: GPL-2.0
/* MacroMac accelerator: platform driver. */
#include <linux/io.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/platform_device.h>

#include "macromac_regs.h"

static int macromac_probe(struct platform_device *pdev)
{
	void __iomem *regs = devm_platform_ioremap_resource(pdev, 0);
	u32 id;

	if (IS_ERR(regs))
		return PTR_ERR(regs);
	id = readl(regs + MACROMAC_ID);
	if (id != MACROMAC_ID_RESET)
		return dev_err_probe(&pdev->dev, -ENODEV, "ID register: expected %#x, found %#x\n",
				     MACROMAC_ID_RESET, id);
	dev_info(&pdev->dev, "MacroMac found\n");
	return 0;
}

static const struct of_device_id macromac_of_match[] = {
	{ .compatible = "macromac,macromac-1.0" },
	{ }
};
MODULE_DEVICE_TABLE(of, macromac_of_match);

static struct platform_driver macromac_driver = {
	.probe = macromac_probe,
	.driver = {
		.name = "macromac",
		.of_match_table = macromac_of_match,
	},
};
module_platform_driver(macromac_driver);

MODULE_DESCRIPTION("MacroMac matrix accelerator");
MODULE_LICENSE("GPL");
